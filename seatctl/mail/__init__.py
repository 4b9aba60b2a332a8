"""E-mail: texts from templates (`rendering.py`), and sending over SMTP (`smtp.py`)."""
