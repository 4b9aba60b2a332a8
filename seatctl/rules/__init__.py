"""Pure decisions from values to values. No I/O, no clock, no SQL."""
