"""How the words are tuned: optimizers for recurrent programs."""
