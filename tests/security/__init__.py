"""What an attacker would try, tried."""
