"""The drill: a real job under real kills, once under static Young and once under forestall, by the same script."""
