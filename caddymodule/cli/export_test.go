package cli

// ParseEnv reads an environment file.
var ParseEnv = parseEnv
