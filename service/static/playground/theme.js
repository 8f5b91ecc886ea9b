// Before the first paint: the reader's own choice of light or dark.
try {
  const theme = localStorage.getItem("theme");
  if (theme) document.documentElement.dataset.theme = theme;
} catch {
  // Storage may be refused; then the system's choice holds.
}
