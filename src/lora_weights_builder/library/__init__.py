"""A folder tree in, a catalogue out: walking roots, giving ids, storing, searching, checking."""
