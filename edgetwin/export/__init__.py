"""Wing: `edgetwin export`: what is stored or recorded as CSV or MCAP, for tools that know nothing of edgetwin."""
