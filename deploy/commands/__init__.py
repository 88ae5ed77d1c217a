"""The commands of `diarchy`, one file a command or group. They load fast: heavy libraries are imported where they are used."""
