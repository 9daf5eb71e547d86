// The form can be sent by hand, too: that is what its button is for.
document.getElementById("continue").submit();
