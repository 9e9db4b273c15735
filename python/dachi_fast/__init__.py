"""Memory for AI agents that learn."""
