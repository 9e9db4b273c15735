"""Plain Python that says what the compiled core must do."""
