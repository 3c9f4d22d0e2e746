package browser

import _ "embed"

//go:embed page.css
var pageStyle string
