"""At which learning rate a model is best on validation cells, and where a seed ends elsewhere on another processor."""
