"""KEEP BYTES. Write-once files named by the digest of what they hold."""
