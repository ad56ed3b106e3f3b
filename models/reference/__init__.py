"""Golden values made by independent implementations: diffusers, scikit-image."""
