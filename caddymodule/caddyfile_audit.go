package caddymodule

// audit reads where the record of what happened goes, and whether nothing may
// happen without it:
//
//	audit file <path>
//	audit required
func (p *parser) audit() error {
	h := p.handler
	if h.Audit == nil {
		h.Audit = new(Audit)
	}
	if !p.NextArg() {
		return p.Err("audit needs to know what: write audit file <path>, or audit required")
	}
	word := p.Val()
	switch {
	case word == "file" && h.Audit.File != "":
		return p.Err("audit file is given twice: keep one")
	case word == "file":
		defer func(outer string) { p.name = outer }(p.name)
		p.name = "audit"
		return p.text(&h.Audit.File, "/var/log/caddy/audit.jsonl")()
	case word == "required" && h.Audit.Required:
		return p.Err("audit required is given twice: keep one")
	case word == "required":
		h.Audit.Required = true
		return nil
	default:
		return p.unknown("audit", word, []string{"file", "required"})
	}
}
