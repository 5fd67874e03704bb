"""How well answers agree with labels and with people."""
