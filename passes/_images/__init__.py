"""What passes share that move the handling of images and answers into the graph."""
