"""The text that commands print: results, tables, progress and units."""
