"""Words of this side for templates."""
