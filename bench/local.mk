# The bench and its floor.
