package cli

import (
	"fmt"
	"os"
	"strings"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/certmagic"
)

// loadEnv puts the variables of a file into the environment, but for those that are there, as
// caddy run --envfile does. Caddy shares no function for that.
func loadEnv(file string) error {
	data, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("reading the environment file: %w", err)
	}
	variables, err := parseEnv(string(data))
	if err != nil {
		return fmt.Errorf("%s: %w", file, err)
	}
	for name, value := range variables {
		if _, set := os.LookupEnv(name); set {
			continue
		}
		if err := os.Setenv(name, value); err != nil {
			return fmt.Errorf("%s: setting %s: %w", file, name, err)
		}
	}
	caddy.DefaultStorage = &certmagic.FileStorage{Path: caddy.AppDataDir()} // which they may have moved
	return nil
}

// parseEnv reads lines of NAME=value. A line may be empty or a comment, and begin with export; what
// follows a # is a comment; a value in quotes may have several lines.
func parseEnv(text string) (map[string]string, error) {
	variables := make(map[string]string)
	lines := strings.Split(text, "\n")
	for at := 0; at < len(lines); at++ {
		number := at + 1
		text := strings.TrimSpace(lines[at])
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		name, value, ok := strings.Cut(text, "=")
		name = strings.TrimPrefix(name, "export ")
		if !ok || name == "" || strings.Contains(name, " ") || strings.HasPrefix(value, " ") || strings.HasPrefix(value, "\t") {
			return nil, fmt.Errorf("line %d is not as NAME=value", number)
		}
		if before, _, commented := strings.Cut(value, "#"); commented {
			value = strings.TrimRight(before, " \t")
		}
		if strings.HasPrefix(value, `"`) || strings.HasPrefix(value, "'") {
			value, at = quoted(value, text, lines, at)
		}
		variables[name] = value
	}
	return variables, nil
}

// quoted reads a value in quotes, which ends with the line that ends with the same quote, and
// returns the place of that line.
func quoted(value, line string, lines []string, at int) (string, int) {
	quote := value[:1]
	for !strings.HasSuffix(line, quote) || strings.HasSuffix(line, `\`+quote) {
		value = strings.ReplaceAll(value, `\`+quote, quote)
		if at+1 >= len(lines) {
			break
		}
		at++
		line = strings.ReplaceAll(lines[at], `\`+quote, quote)
		value += "\n" + line
	}
	return strings.TrimSuffix(strings.TrimPrefix(value, quote), quote), at
}
