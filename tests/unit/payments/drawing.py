"""Drawings of allowed moves, as people read them: one line a state, its successors after an arrow."""

from __future__ import annotations


def read_moves(drawing: str) -> set[tuple[str, str]]:
    """Every (from, to) of a drawing such as `A -> B C`; a state that leads nowhere has an empty right side."""
    moves = set()
    for line in filter(None, map(str.strip, drawing.splitlines())):
        state, _, successors = line.partition("->")
        moves |= {(state.strip(), successor) for successor in successors.split()}
    return moves
