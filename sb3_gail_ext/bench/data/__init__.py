"""`sb3-gail bench data`: how fast demonstrations are loaded and drawn, and in how much memory."""
