// The explorer's views in the order of their tabs: {id, title, hint, needs, mount(app) -> {element, show(), hide()}}.
// A view's module pushes it; its tab is there when the session answers the view that it needs.

export const VIEWS = [];
