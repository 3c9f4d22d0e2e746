package cli

// Mends are the mends of all reasons, and ParseEnv reads an environment file.
var (
	Mends    = mends
	ParseEnv = parseEnv
)
