"""Files of any shop: read as a stream, understood by their headings, refused line by line."""
