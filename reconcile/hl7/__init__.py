"""DOOR. HL7 v2 over MLLP; decides nothing."""
