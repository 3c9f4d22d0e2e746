package sessions

// UnmarshalJSON decodes a JSON object. Numbers that are whole and fit become
// int64, all others float64: so a claim is the same however often it is written
// and read. Of a name that comes twice the last counts, as in encoding/json.
func (c *Claims) UnmarshalJSON(data []byte) error {
	s := scanner{data: data}
	claims, err := s.claims()
	if err == nil {
		err = s.end()
	}
	if err != nil {
		return err
	}
	*c = claims
	return nil
}

// claims reads an object, or null.
func (s *scanner) claims() (Claims, error) {
	value, err := s.value()
	if err != nil || value == nil {
		return nil, err
	}
	object, ok := value.(map[string]any)
	if !ok {
		return nil, errScan
	}
	return object, nil
}
