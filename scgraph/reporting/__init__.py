"""What every study needs to tell its results: statistics, tables, drawings, pages and the machine they came from."""
