"""Messages by mail: texts from templates (`rendering.py`), and the way to the server (`smtp.py`)."""
