"""Every sentence that is said to a person or a model, as pure functions; by what it is about."""
