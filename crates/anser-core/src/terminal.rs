//! One signed-in terminal, as the access role sees it.
