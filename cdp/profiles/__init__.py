"""One person after resolution: profiles, traits, the trait catalogue, the profile API."""
