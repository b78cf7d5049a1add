"""What several tests share: homes, fake servers, browsers, small models."""
