"""Circuit diagrams: layout and drawing, and the same circuit as DOT, Mermaid and JSON."""
