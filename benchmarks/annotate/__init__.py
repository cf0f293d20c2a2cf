"""How good the labels are that cells get from labelled cells of another study, condition, chemistry or patient."""
