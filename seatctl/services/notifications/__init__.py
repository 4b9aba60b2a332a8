"""Messages to people: commands, delivery, reminders."""
