/* version @VERSION@ */
export function details() {
	return ["This part was loaded when you asked for it",
		"It belongs to @VERSION@, as the page does",
		"@TEXT@"];
}
