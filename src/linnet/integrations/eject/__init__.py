"""Write scripts that train the model of a run again, without linnet."""
