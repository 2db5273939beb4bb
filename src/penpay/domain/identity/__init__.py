"""Who uses the platform, what is known of them, and how they prove who they are."""
