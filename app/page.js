// Opens a source when its [n] is followed, keeps what the reader opened while the answer is redrawn, brings a
// new question into view, and puts a question that is to be changed into the box. No library, no request.
(() => {
  const chosen = new Map();   // details' data-id -> open or not, as the reader left it
  let lastKey = null;

  const calm = () => window.matchMedia('(prefers-reduced-motion: reduce)').matches;
  const show = (element, block) => element.scrollIntoView({ behavior: calm() ? 'auto' : 'smooth', block });

  function drawn(root) {
    root.querySelectorAll('details[data-id]').forEach((item) => {
      const live = item.closest('[aria-busy="true"]');
      const wanted = chosen.has(item.dataset.id)
        ? chosen.get(item.dataset.id)
        : item.hasAttribute('data-first') && !live && window.innerWidth >= 900 && !item.closest('.mc-column');
      if (item.open !== wanted) { item.open = wanted; item.dataset.set = ''; }
    });
    const turn = root.id === 'mc-now' || root.closest('#mc-now') ? root.querySelector('.mc-turn') : null;
    if (turn && turn.dataset.key !== lastKey) {
      lastKey = turn.dataset.key;
      show(turn, 'start');
    }
  }

  function openSource(id) {
    const item = document.getElementById(id);
    if (!item) return false;
    const details = item.querySelector('details');
    chosen.set(details.dataset.id, true);
    details.open = true;
    item.classList.remove('mc-shown');
    void item.offsetWidth;
    item.classList.add('mc-shown');
    show(item, 'nearest');
    details.querySelector('summary').focus({ preventScroll: true });
    return true;
  }

  document.addEventListener('click', (event) => {
    const link = event.target.closest && event.target.closest('a.mc-cite');
    if (link && openSource(link.getAttribute('href').slice(1))) event.preventDefault();
    const edit = event.target.closest && event.target.closest('[data-edit]');
    const box = edit && document.querySelector('#mc-box textarea, #mc-box input');
    if (box) {
      box.value = edit.dataset.edit;
      box.dispatchEvent(new Event('input', { bubbles: true }));
      box.focus();
    }
    const summary = event.target.closest && event.target.closest('summary');
    const details = summary && summary.parentElement;
    // The click's default action has not happened yet: what is open now is about to close.
    if (details && details.dataset.id) chosen.set(details.dataset.id, !details.open);
  });

  window.medcite = { drawn };
})();
