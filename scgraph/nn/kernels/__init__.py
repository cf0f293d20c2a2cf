"""What computes a layer quickly or in little memory, each beside the plain form that tests hold it equal to."""
