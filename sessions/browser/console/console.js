"use strict"
for (const time of document.querySelectorAll("time")) {
	const at = new Date(time.dateTime)
	if ("local" in time.dataset) time.textContent = at.toLocaleString()
	else if (time.title) time.title = at.toLocaleString()
	if ("left" in time.dataset) {
		const count = () => {
			const left = Math.ceil((at - Date.now()) / 1000)
			time.textContent = left > 0 ? left + " s" : time.dataset.over
			if (left > 0) setTimeout(count, 1000)
		}
		count()
	}
}
for (const button of document.querySelectorAll("[data-copy]")) {
	if (!navigator.clipboard) break
	button.hidden = false
	button.addEventListener("click", async () => {
		await navigator.clipboard.writeText(document.getElementById(button.dataset.copy).value)
		button.textContent = button.dataset.done
	})
}
