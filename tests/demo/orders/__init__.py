"""The order service of the demo, twice: without tidegate and with it."""
