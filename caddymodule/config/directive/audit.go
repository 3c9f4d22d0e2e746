package directive

import "authsidecar/caddymodule/config"

// audit parses where events are recorded, and whether that is required:
//
//	audit file <path>
//	audit required
func (p *parser) audit() error {
	b := p.config
	if b.Audit == nil {
		b.Audit = new(config.Audit)
	}
	if !p.NextArg() {
		return p.Err("audit needs file or required: write audit file <path>, or audit required")
	}
	word := p.Val()
	switch {
	case word == "file" && b.Audit.File != "":
		return p.Err("audit file is given twice: keep one")
	case word == "file":
		defer func(outer string) { p.name = outer }(p.name)
		p.name = "audit"
		return p.value(&b.Audit.File, "/var/log/caddy/audit.jsonl")
	case word == "required" && b.Audit.Required:
		return p.Err("audit required is given twice: keep one")
	case word == "required":
		b.Audit.Required = true
		return nil
	default:
		return p.unknown("audit", word, "", []string{"file", "required"})
	}
}
