"""Well-known analysers of source code, each as a program of its own on a copy of the files, without the tree's configuration."""
