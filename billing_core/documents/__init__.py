"""Renderings of an issued document for people (HTML, PDF) and machines (EN 16931 XML, CSV).

Each is a function of the stored document alone: rendered again, it gives the same bytes. Start with `sheet.py`, the
words and figures that HTML and PDF share.
"""
