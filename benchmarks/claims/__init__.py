"""The claims about how a text predictor becomes an assistant, each as a measurement that anyone can repeat."""
