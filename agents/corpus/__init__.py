"""What the players read: documents cut into chunks, their index, and the facts that are known of them."""
