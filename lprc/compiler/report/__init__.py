"""``report.html``: what each pass did to a network and what it cost, on one page of its own."""
